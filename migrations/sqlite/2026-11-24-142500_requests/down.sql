DROP TABLE request_answers;
DROP TABLE carrier_requests;
