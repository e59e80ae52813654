-- Is a report stored already, and if not, may its reporter send one more? One step, so that a stored report takes no
-- quota. KEYS: marker, repeat hint, quota; they share a slot. ARGV: marker half of this store (8 bytes), take a quota
-- (0 or 1), interval between two reports in microseconds, reports at once.
-- Answers {1, the whole marker, 0} stored, which the gateway checks again; {2, '', microseconds to wait} over quota; {0, '', repeat 0 or 1} new.
-- A value of another type is none of ours: as if it were not there. An error of a write goes out as it is.
local mark = redis.pcall('GET', KEYS[1])
if type(mark) == 'string' and #mark == 16 and string.sub(mark, 1, 8) == ARGV[1] then
  return {1, mark, 0}
end
if ARGV[2] == '1' then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local interval = tonumber(ARGV[3])
  local stored = redis.pcall('GET', KEYS[3])
  local arrival = type(stored) == 'string' and tonumber(stored) or now
  -- A full day ahead is the most there is; what is more than two days ahead, or not a number, was not written here.
  if not (arrival > now and arrival - now <= 2 * interval * tonumber(ARGV[4])) then arrival = now end
  local wait = arrival + interval - interval * tonumber(ARGV[4]) - now
  if wait > 0 then
    return {2, '', wait}
  end
  local next_arrival = arrival + interval
  local written = redis.pcall('SET', KEYS[3], string.format('%.0f', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000))
  if written.err then return written end
end
return {0, '', redis.call('EXISTS', KEYS[2])}
