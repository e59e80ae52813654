DROP FUNCTION reported_cases(BYTEA, INTEGER);
DROP TABLE responses;
