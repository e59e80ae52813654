-- Remembers that a report is stored. The first body of an id stands, as it does for the builder; a marker of another
-- store, or a value that is no marker, is written over. KEYS: marker. ARGV: marker (16 bytes), its seconds to live. An
-- error of a write goes out as it is. (SET with NX and GET: Redis 7.)
local before = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX', 'GET')
if before and (type(before) ~= 'string' or #before ~= 16 or string.sub(before, 1, 8) ~= string.sub(ARGV[1], 1, 8)) then
  local written = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  if written.err then return written end
end
return 0
