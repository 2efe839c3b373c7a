-- Which program somebody ran in a workspace; empty for every other request.
ALTER TABLE audit ADD COLUMN program TEXT NOT NULL DEFAULT '';
