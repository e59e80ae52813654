DROP TABLE carrier_usage;
