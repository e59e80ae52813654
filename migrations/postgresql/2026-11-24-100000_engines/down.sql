DROP VIEW report_status;
DROP VIEW journal.arrivals;
DROP FUNCTION journal.is_default_partition_used();
DROP TABLE journal.reports_default;
DROP FUNCTION journal.make_partitions(INTEGER);
DROP FUNCTION journal.adopt_cluster();
DROP FUNCTION journal.horizon();
