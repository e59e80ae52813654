-- Remembers that a report is stored, where its record is not known. The first body of an id stands, as it does for the
-- builder. KEYS: reporter. ARGV: marker (16 bytes); what the report's id is (4); seconds for which it is remembered. An
-- error of a write goes out as it is.
local marker, id, KEPT_S = ARGV[1], ARGV[2], ARGV[3] + 0
local found = redis.pcall('GET', KEYS[1])
-- Where there is no value nothing of a quota is taken.
local value = read(found) or pack('<d', 0) .. LAST
local stored = find_record(value, MARKER, sub(marker, 1, 8), 0)
if stored and value == found then return 0 end
local second, own = redis.call('TIME')[1] + 0, stored or find_record(value, ID, id, 0)
if own then
  local head = stored and NO_CLAIM .. id .. pack('>I4', second) or sub(value, before(own, 0) + 1, before(own, MARKER))
  value = sub(value, 1, before(own, 0)) .. head .. marker .. sub(value, before(own + 1, 0) + 1)
else
  local records = add_record(value, NO_CLAIM .. id, second, KEPT_S, marker)
  value = sub(value, 1, TIME_BYTES) .. records
end
local written = redis.pcall('SET', KEYS[1], value, 'EX', KEPT_S)
if written.err then return written end
return 0
