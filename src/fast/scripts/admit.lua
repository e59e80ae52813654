-- Is a report stored already, and if not, may its reporter send one more? One step, so that a stored report takes no
-- quota. KEYS: marker, repeat hint, quota; they share a slot. ARGV: marker half of this store (8 bytes), take a quota
-- (0 or 1), interval between two reports in microseconds, reports at once.
-- Answers {1, the whole marker, 0} stored, which the gateway checks again; {2, '', microseconds to wait} over quota; {0, '', repeat 0 or 1} new.
-- MGET says of a value of another type, which is none of ours, that it is not there. An error of a write goes out as it is.
local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3])
local mark = found[1]
if mark and #mark == 16 and string.sub(mark, 1, 8) == ARGV[1] then
  return {1, mark, 0}
end
if ARGV[2] == '1' then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local interval = ARGV[3] + 0
  local day = interval * ARGV[4]
  local arrival = found[3] and tonumber(found[3]) or now
  -- A full day ahead is the most there is; what is more than two days ahead, or not a number, was not written here.
  if not (arrival > now and arrival - now <= 2 * day) then arrival = now end
  local next_arrival = arrival + interval
  local wait = next_arrival - day - now
  if wait > 0 then
    return {2, '', wait}
  end
  local written = redis.pcall('SET', KEYS[3], next_arrival, 'PX', math.ceil((next_arrival - now) / 1000))
  if written.err then return written end
end
return {0, '', found[2] and 1 or 0}
