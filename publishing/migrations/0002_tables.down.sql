DROP TABLE dead_letters;
DROP TABLE users;
DROP TABLE catalogue;

-- The tables are gone: what says that they hold something must go with them.
DELETE FROM sink_offsets WHERE topic IN ('products', 'users', 'dead-letters');
