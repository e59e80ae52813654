-- Remembers that a report is stored. The first body of an id stands, as it does for the builder; a marker of another
-- store is written over. KEYS: marker, repeat hint. ARGV: marker (16 bytes), its seconds to live, the hint's.
local mark = redis.call('GET', KEYS[1])
if not mark or string.sub(mark, 1, 8) ~= string.sub(ARGV[1], 1, 8) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('SET', KEYS[2], 1, 'EX', ARGV[3], 'NX')
return 0
