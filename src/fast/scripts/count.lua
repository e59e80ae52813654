-- Counts one everywhere, or nowhere when one of the counts is full; or counts one no more. KEYS: the counts; they share a
-- slot. ARGV: microseconds since 1970 (empty: this server's time), 1 or -1, and for each count how many there may be and in
-- how many seconds. Answers {0, 0} when counted, else the microseconds until there is room in
-- all, and the place of the count that stays full longest, from 1.
-- A count begins with the first and ends so long after it. What is not ours counts as nothing there. An error of a write
-- goes out as it is.
local now, step = tonumber(ARGV[1]), ARGV[2] + 0
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local counts, ends, wait, longest = {}, {}, 0, 0
for i, key in ipairs(KEYS) do
  local most, window = ARGV[2 * i + 1] + 0, ARGV[2 * i + 2] * 1000000
  counts[i], ends[i] = 0, now + window
  local stored = redis.pcall('GET', key)
  if type(stored) == 'string' then
    local count, till = string.match(stored, '^(%d+) (%d+)$')
    if count and till + 0 > now and till - now <= window then counts[i], ends[i] = count + 0, till + 0 end
  end
  if counts[i] >= most and ends[i] - now >= wait then wait, longest = ends[i] - now, i end
end
if step > 0 and wait > 0 then return {wait, longest} end
for i, key in ipairs(KEYS) do
  local count = math.max(0, counts[i] + step)
  local lives = string.format('%.0f', math.ceil((ends[i] - now) / 1000))
  local written = redis.pcall('SET', key, string.format('%.0f %.0f', count, ends[i]), 'PX', lives)
  if written.err then return written end
end
return {0, 0}
