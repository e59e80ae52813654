-- Tries a code, so that of many who have the right one at once one is given it, and no wrong try is uncounted. KEYS: the
-- code, the wrong tries at it; they share a slot. ARGV: what the code begins with (16 bytes); `right`, `wrong`, or of one that
-- was counted as wrong before, `settled` (it was right) or `released` (it could not be looked at); how many may be wrong, and
-- in how many seconds; microseconds since 1970 (empty: this server's time).
-- Answers {0, 0} counted; {1, 0} used, by this try and no other; {2, 0} no such code; {3, microseconds} too many were wrong.
-- What is not ours counts as nothing there. An error of a write goes out as it is.
local how, most, window, now = ARGV[2], ARGV[3] + 0, ARGV[4] * 1000000, tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local count, ends = 0, now + window
local stored = redis.pcall('GET', KEYS[2])
if type(stored) == 'string' then
  local before, till = string.match(stored, '^(%d+) (%d+)$')
  if before and till + 0 > now and till - now <= window then count, ends = before + 0, till + 0 end
end
local function write_count(to)
  local lives = string.format('%.0f', math.ceil((ends - now) / 1000))
  return redis.pcall('SET', KEYS[2], string.format('%.0f %.0f', math.max(0, to), ends), 'PX', lives)
end
if how == 'settled' or how == 'released' then
  local written = write_count(count - 1)
  if written.err then return written end
  if how == 'released' then return {0, 0} end
elseif count >= most then
  return {3, ends - now}
end
local code = redis.pcall('GET', KEYS[1])
if type(code) ~= 'string' or string.sub(code, 1, 16) ~= ARGV[1] then return {2, 0} end
if how == 'wrong' then
  local written = write_count(count + 1)
  if written.err then return written end
  return {0, 0}
end
-- Written over, and gone at once: so the gateway's user needs no right to delete.
local written = redis.pcall('SET', KEYS[1], '', 'PX', 1)
if written.err then return written end
return {1, 0}
