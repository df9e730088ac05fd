DROP TABLE versions;
DROP TABLE sink_offsets;
