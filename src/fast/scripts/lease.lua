-- Takes items of a carrier's limit for a node, as many as there are up to what it wants, or gives some back. KEYS: the
-- carrier's limit. ARGV: items a second, items at once, items wanted (below 0: given back), microseconds since 1970 (empty:
-- this server's time).
-- Answers {items granted, whole items left, microseconds until one more can be granted; 0 when all were}.
-- What is kept is the items left and when that was: other terms then refill nothing. What is not ours counts as nothing
-- there. An error of a write goes out as it is.
local rate, burst, wanted = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local left = burst
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local before, at = string.match(stored, '^(%d+%.%d+) (%d+)$')
  -- A clock that was set back gives nothing, and takes nothing either.
  if before then left = math.min(burst, before + math.max(0, now - at) * rate / 1000000) end
end
local granted, wait = 0, 0
if wanted < 0 then
  left = math.min(burst, left - wanted)
else
  -- What is written is rounded to a millionth.
  granted = math.min(wanted, math.floor(left + 0.000001))
  left = math.max(0, left - granted)
  if granted < wanted then wait = math.ceil((1 - left) * 1000000 / rate) end
end
-- A limit that is full needs no key; a minute more for nodes whose time is not this server's.
local lives = math.ceil((burst - left) * 1000 / rate) + 60000
local written = redis.pcall('SET', KEYS[1], string.format('%.6f %.0f', left, now), 'PX', string.format('%.0f', lives))
if written.err then return written end
return {granted, math.floor(left + 0.000001), wait}
