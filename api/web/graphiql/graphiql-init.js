// Starts the query editor on /graphql. The query and its variables are kept in the page's address,
// so that a question can be sent to somebody as a link.
"use strict";

(() => {
  const ENDPOINT = "/graphql";

  const FIRST_QUERY = `# What did our forecast look like on 31 March 2026, as we knew it then?
#
# A time is a date, an instant, or a position such as "pos:1090".
# The basis in the answer is all that it depends on: give it back, and you get the same bytes.
# Ctrl-Enter runs the query, Ctrl-Space completes, the explorer on the left lists every field.

{
  snapshot(asOf: "2026-03-31") {
    basis {
      validAt
      knownAt
      horizon
      rules
    }
    forecast(period: "2026-Q1") {
      currency
      cells {
        measure
        category
        amount
        deals
      }
    }
  }
}
`;

  // Named apart from GraphQL's own "query" and "variables", with which a GET would be an API call.
  const address = new URL(window.location.href);

  function keepInAddress(name, value) {
    if (value) {
      address.searchParams.set(name, value);
    } else {
      address.searchParams.delete(name);
    }
    window.history.replaceState(null, "", address);
  }

  const editor = React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: ENDPOINT }),
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    query: address.searchParams.get("q") ?? undefined,
    variables: address.searchParams.get("vars") ?? undefined,
    defaultQuery: FIRST_QUERY,
    defaultEditorToolsVisibility: true,
    inputValueDeprecation: true,
    shouldPersistHeaders: false,
    onEditQuery: (query) => keepInAddress("q", query),
    onEditVariables: (variables) => keepInAddress("vars", variables),
  });
  ReactDOM.createRoot(document.getElementById("graphiql")).render(editor);
})();
