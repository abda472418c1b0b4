// Runs all server audits against the address given and prints their results as JSON, one a line.
import { serverAudits } from "graphql-http";

for (const audit of serverAudits({ url: process.argv[2] })) {
  const result = await audit.fn();
  const { id, name, status } = result;
  const { reason = null } = result;
  const answer = result.response ?? null;
  const told = answer && { status: answer.status, type: answer.headers.get("content-type") };
  console.log(JSON.stringify({ id, name, status, reason, told }));
}
