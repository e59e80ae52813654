-- Asks about reports, many at once. Of each: is it stored already, and if not, may its reporter send one more? One step,
-- so that a stored report takes no quota. KEYS: of each report its reporter.
-- ARGV: microseconds between two reports of a reporter; reports at once; seconds for which a report is remembered, and
-- for which what it claims is; then of each report the store's half of the marker (8 bytes) and, when it is to take of the
-- quota, what it claims and what its id is (4 bytes each).
-- Answers, for each: the whole marker of what is stored, which the gateway checks again; or a number. Below 0, over quota:
-- the microseconds to wait. Else new: odd when its reporter has claimed the same by another report, and half of it the
-- place for its marker, bytes; 0 when it has none, shares it with an earlier try, or its place may change.
local INTERVAL, BURST, KEPT_S, WINDOW_S = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local ARGS_BEFORE = 4

-- Of a value of another type, which is none of ours, MGET says that it is not there.
local found = redis.call('MGET', unpack(KEYS))
local time = redis.call('TIME')
local second = time[1] + 0
local now = second * 1000000 + time[2]
local day = INTERVAL * BURST
-- Till when a reporter is remembered. As a time, because the server would turn seconds into it for each.
local kept_until_ms = string.format('%.0f', math.floor(now / 1000) + KEPT_S * 1000)
-- What a value is made of whose reporter is not remembered: most.
local first_due, first_rest = pack('<d', now + INTERVAL), pack('>I4', second) .. NOT_STORED .. LAST
-- What is written here, for a reporter that is asked about again.
local written = {}

-- When the next one would be due. A full day ahead is the most there is; what is more than two days ahead, or not a
-- number, was not written here.
local function due(value)
  local arrival = unpack_bytes('<d', value)
  if arrival > now and arrival - now <= 2 * day then return arrival end
  return now
end

-- Whether the same was claimed within the window, which begins with the first claim and does not slide; and whether by
-- another report.
local function look_for_claim(value, claim, id)
  local is_claimed, record = false, find_record(value, CLAIM, claim, 0)
  while record do
    if math.abs(second - second_of(value, record)) < WINDOW_S then
      is_claimed = true
      if sub(value, before(record, ID) + 1, before(record, ID) + 4) ~= id then return true, 1 end
    end
    record = find_record(value, CLAIM, claim, record + 1)
  end
  return is_claimed, 0
end

-- The records with this report among them, and the answer.
local function add(value, claim, id)
  local is_claimed, is_repeat = look_for_claim(value, claim, id)
  if find_record(value, ID, id, 0) then return sub(value, TIME_BYTES + 1), is_repeat end
  if is_claimed then claim = NO_CLAIM end
  local records, own = add_record(value, claim .. id, second, KEPT_S, NOT_STORED)
  return records, own and 2 * before(own, MARKER) + is_repeat or is_repeat
end

local answers = {}
for place = 1, #KEYS do
  local asked, reporter = ARGV[ARGS_BEFORE + place], KEYS[place]
  local value = read(written[reporter] or found[place])
  local stored = value and find_record(value, MARKER, sub(asked, 1, 8), 0)
  if stored then
    answers[place] = marker_of(value, stored)
  elseif #asked == 8 then
    answers[place] = 0
  else
    local next_due = value and due(value) + INTERVAL
    local wait = value and next_due - day - now or INTERVAL - day
    if wait > 0 then
      answers[place] = -wait
    else
      local answer = 2 * before(0, MARKER)
      if value then
        value, answer = add(value, sub(asked, 9, 12), sub(asked, 13, 16))
        value = pack('<d', next_due) .. value
      else
        value = first_due .. sub(asked, 9, 16) .. first_rest
      end
      -- An error of a write goes out as it is: it concerns all of them.
      local done = redis.pcall('SET', reporter, value, 'PXAT', kept_until_ms)
      if done.err then return done end
      written[reporter] = value
      answers[place] = answer
    end
  end
end
return answers
