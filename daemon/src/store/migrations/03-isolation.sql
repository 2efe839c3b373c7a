-- Whose account a workspace uses: 'workspace', 'owner:ACCOUNT' or 'shared:ACCOUNT'.
ALTER TABLE workspaces ADD COLUMN isolation TEXT NOT NULL DEFAULT 'workspace';
