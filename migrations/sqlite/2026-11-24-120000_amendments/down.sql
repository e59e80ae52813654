DROP TABLE amended_reports;
