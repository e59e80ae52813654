-- Gives one back to a reporter, if it still is remembered, and forgets what the report claimed. KEYS: reporter. ARGV:
-- microseconds between two reports; what it claimed and what its id is (8 bytes together). See admit.lua for the value.
-- An error of a write goes out as it is.
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or #value < 8 or (#value - 8) % 12 ~= 0 then return 0 end
local kept = { struct.pack('<d', struct.unpack('<d', value) - ARGV[1]) }
for at = math.max(8, #value - 20 * 12) + 1, #value, 12 do
  if string.sub(value, at, at + 7) ~= ARGV[2] then kept[#kept + 1] = string.sub(value, at, at + 11) end
end
local written = redis.pcall('SET', KEYS[1], table.concat(kept), 'KEEPTTL')
if written.err then return written end
return 0
