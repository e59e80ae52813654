-- Gives one back to a reporter, if it still is remembered, and forgets what the report claimed. Its record stays where it
-- is, empty: the places of the others are known to gateways. KEYS: reporter. ARGV: microseconds between two reports; what
-- the report's id is (4 bytes). An error of a write goes out as it is.
local value = read(redis.pcall('GET', KEYS[1]))
if not value then return 0 end
local kept = sub(value, TIME_BYTES + 1)
local own = find_record(value, ID, ARGV[2], 0)
if own and marker_of(value, own) == NOT_STORED then
  kept = sub(value, TIME_BYTES + 1, before(own, CLAIM)) .. string.rep('\0', 8) .. sub(value, before(own, SECOND) + 1)
end
local written = redis.pcall('SET', KEYS[1], pack('<d', unpack_bytes('<d', value) - ARGV[1]) .. kept, 'KEEPTTL')
if written.err then return written end
return 0
