-- Takes items of a carrier's limits for a node, as many as there are up to what it wants, or gives some back. KEYS: the
-- carrier's limits. ARGV: items a second, items at once, items wanted (below 0: given back), microseconds since 1970
-- (empty: this server's time), items a day (0: as many as come), seconds by which the day begins before UTC's.
-- Answers {items granted, whole items left, microseconds until one more can be granted; 0 when all were, items left of the
-- day; -1 when it has no limit}.
-- What is kept is the items left and when that was, the day and the items taken in it: other terms then refill nothing.
-- What is not ours counts as nothing there. An error of a write goes out as it is.
local rate, burst, wanted = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0
local now, per_day, offset = tonumber(ARGV[4]), ARGV[5] + 0, ARGV[6] + 0
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local left, day, taken = burst, math.floor((now / 1000000 + offset) / 86400), 0
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local before, at, day_before, taken_before = string.match(stored, '^(%d+%.%d+) (%d+) (%d+) (%d+)$')
  if before then
    -- A clock that was set back gives nothing, and takes nothing either.
    left = math.min(burst, before + math.max(0, now - at) * rate / 1000000)
    day_before = day_before + 0
    if day_before == day or day_before == day + 1 then day, taken = day_before, taken_before + 0 end
  end
end
local left_today = per_day > 0 and math.max(0, per_day - taken) or math.huge
local granted, wait = 0, 0
if wanted < 0 then
  left = math.min(burst, left - wanted)
  taken = math.max(0, taken + wanted)
else
  -- What is written is rounded to a millionth.
  granted = math.min(wanted, math.floor(left + 0.000001), left_today)
  left = math.max(0, left - granted)
  taken = taken + granted
  if granted == left_today and granted < wanted then
    wait = ((day + 1) * 86400 - offset) * 1000000 - now
  elseif granted < wanted then
    wait = math.ceil((1 - left) * 1000000 / rate)
  end
end
-- The day's number is kept until it is over everywhere on Earth, and a limit that is not full until it is.
local lives = math.max(172800000, math.ceil((burst - left) * 1000 / rate) + 60000)
local value = string.format('%.6f %.0f %.0f %.0f', left, now, day, taken)
local written = redis.pcall('SET', KEYS[1], value, 'PX', string.format('%.0f', lives))
if written.err then return written end
return {granted, math.floor(left + 0.000001), wait, per_day > 0 and math.max(0, per_day - taken) or -1}
