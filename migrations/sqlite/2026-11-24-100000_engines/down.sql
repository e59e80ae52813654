DROP VIEW report_status;
DROP VIEW journal.arrivals;
