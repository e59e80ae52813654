-- Gives one back to a reporter's quota, if there still is one. KEYS: quota. ARGV: interval in microseconds.
local arrival = tonumber(redis.call('GET', KEYS[1]) or '')
if arrival then
  redis.call('SET', KEYS[1], string.format('%.0f', arrival - tonumber(ARGV[1])), 'KEEPTTL')
end
return 0
