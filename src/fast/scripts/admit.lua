-- Is a report stored already, and if not, may its reporter send one more? One step, so that a stored report takes no
-- quota. KEYS: marker, repeat hint, quota. ARGV: marker half of this store (8 bytes), take a quota (0 or 1), interval
-- between two reports in microseconds, reports at once.
-- Answers {1, the whole marker, 0} stored, which the gateway checks again; {2, '', microseconds to wait} over quota; {0, '', repeat 0 or 1} new.
local mark = redis.call('GET', KEYS[1])
if mark and #mark == 16 and string.sub(mark, 1, 8) == ARGV[1] then
  return {1, mark, 0}
end
if ARGV[2] == '1' then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local interval = tonumber(ARGV[3])
  local arrival = tonumber(redis.call('GET', KEYS[3]) or now) or now
  if arrival < now then arrival = now end
  local wait = arrival + interval - interval * tonumber(ARGV[4]) - now
  if wait > 0 then
    return {2, '', wait}
  end
  local next_arrival = arrival + interval
  redis.call('SET', KEYS[3], string.format('%.0f', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000))
end
return {0, '', redis.call('EXISTS', KEYS[2])}
