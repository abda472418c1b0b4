-- Any document can be named by the SHA-256 of its text: one is found without reading the others.

ALTER TABLE qledger.document ADD COLUMN sha256 bytea;
UPDATE qledger.document SET sha256 = sha256(convert_to(text, 'UTF8'));
ALTER TABLE qledger.document ALTER COLUMN sha256 SET NOT NULL;
CREATE INDEX document_sha256 ON qledger.document (sha256);
