-- Asks about reports, many at once. Of each: is it stored already, and if not, may its reporter send one more? One step,
-- so that a stored report takes no quota. KEYS: of each report its marker, then its reporter; the two share a slot.
-- ARGV: microseconds between two reports of a reporter; reports at once; seconds for which a claim is remembered, and its
-- reporter after the last one; then of each report the store's half of the marker (8 bytes) and, when it is to take of the
-- quota, what it claims and what its id is (4 bytes each).
-- Answers, for each: the whole marker of what is stored, which the gateway checks again; 0 new; 1 new, and its reporter
-- has claimed the same by another report; below 0, over quota: the microseconds to wait.
--
-- A reporter's value: when the next report would be due if all came evenly (GCRA; microseconds, as a double), then what
-- was claimed within the window, oldest first: claim, id, second of the first one (4 bytes each). Binary, because turning
-- numbers into text and back costs more than all that is computed with them.
local INTERVAL, BURST, KEPT_S = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0
local ARGS_BEFORE = 3
local TIME_BYTES, CLAIM_BYTES = 8, 12
-- So many claims of a reporter are remembered; no more are looked at, whatever is there.
local CLAIMS_MAX = 20

local sub, pack, unpack_bytes = string.sub, struct.pack, struct.unpack
-- Of a value of another type, which is none of ours, MGET says that it is not there.
local found = redis.call('MGET', unpack(KEYS))
local time = redis.call('TIME')
local second = time[1] + 0
local now = second * 1000000 + time[2]
local day = INTERVAL * BURST
-- Till when a reporter is remembered. As a time, because the server would turn seconds into it for each.
local kept_until_ms = string.format('%.0f', math.floor(now / 1000) + KEPT_S * 1000)
-- What a value is made of whose reporter is not remembered: most.
local first_due, this_second = pack('<d', now + INTERVAL), pack('>I4', second)
-- What is written here, for a reporter that is asked about again.
local written = {}

-- When the next one would be due. A full day ahead is the most there is; what is more than two days ahead, or not a
-- number, was not written here.
local function due(value)
  local arrival = unpack_bytes('<d', value)
  if arrival > now and arrival - now <= 2 * day then return arrival end
  return now
end

-- The claims in a value and this one, and whether it was there by another report. The window does not slide.
local function claim(value, said, id)
  local kept, is_repeat, is_known = {}, 0, false
  for at = math.max(TIME_BYTES, #value - CLAIMS_MAX * CLAIM_BYTES) + 1, #value, CLAIM_BYTES do
    if math.abs(second - unpack_bytes('>I4', value, at + 8)) < KEPT_S then
      kept[#kept + 1] = sub(value, at, at + CLAIM_BYTES - 1)
      if sub(value, at, at + 3) == said then
        is_known = true
        if sub(value, at + 4, at + 7) ~= id then is_repeat = 1 end
      end
    end
  end
  if not is_known then
    kept[#kept + 1] = said .. id .. this_second
    if #kept > CLAIMS_MAX then table.remove(kept, 1) end
  end
  return table.concat(kept), is_repeat
end

local answers = {}
for place = 1, #KEYS / 2 do
  local asked, mark, reporter = ARGV[ARGS_BEFORE + place], found[2 * place - 1], KEYS[2 * place]
  if mark and #mark == 16 and sub(mark, 1, 8) == sub(asked, 1, 8) then
    answers[place] = mark
  elseif #asked == 8 then
    answers[place] = 0
  else
    local value, wait, is_repeat = written[reporter] or found[2 * place], INTERVAL - day, 0
    if not value or #value < TIME_BYTES or (#value - TIME_BYTES) % CLAIM_BYTES ~= 0 then
      value = first_due .. sub(asked, 9, 16) .. this_second
    else
      local next_due = due(value) + INTERVAL
      wait = next_due - day - now
      local claims
      claims, is_repeat = claim(value, sub(asked, 9, 12), sub(asked, 13, 16))
      value = pack('<d', next_due) .. claims
    end
    if wait > 0 then
      answers[place] = -wait
    else
      -- An error of a write goes out as it is: it concerns all of them.
      local done = redis.pcall('SET', reporter, value, 'PXAT', kept_until_ms)
      if done.err then return done end
      written[reporter] = value
      answers[place] = is_repeat
    end
  end
end
return answers
