-- The studio's role and database. As a superuser, once:
--   psql -v ON_ERROR_STOP=1 -v password="$(cat password-file)" -f postgresql.sql
-- The role owns its one database, since the studio makes and alters its own tables, and may do nothing else.
CREATE ROLE cinegen LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 95 PASSWORD :'password';
CREATE DATABASE cinegen OWNER cinegen ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE cinegen FROM PUBLIC;
-- Who waits for what is not there any more is let go of; a backup reads for long, and is never idle.
ALTER ROLE cinegen IN DATABASE cinegen SET idle_in_transaction_session_timeout = '5min';
