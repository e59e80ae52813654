-- Gives one back to a reporter's quota, if there still is one. KEYS: quota. ARGV: interval in microseconds.
-- An error of a write goes out as it is.
local stored = redis.pcall('GET', KEYS[1])
local arrival = type(stored) == 'string' and tonumber(stored)
if arrival then
  local written = redis.pcall('SET', KEYS[1], string.format('%.0f', arrival - tonumber(ARGV[1])), 'KEEPTTL')
  if written.err then return written end
end
return 0
