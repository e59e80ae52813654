-- What is remembered of a reporter; this stands before each script that reads or writes it.
--
-- A value: when the next report would be due if all came evenly (GCRA; microseconds, as a double), a record for each
-- report, oldest first, and one byte that marks never write, so that what was made by writing into nothing is told from
-- it. A record: what the report claims (4 bytes; zeros when that was claimed before, or is not known), what its id is (4;
-- zeros when it was given back), the second at which it was first heard of (4), and its marker (16; zeros until it is
-- stored), which begins with the store's half. Binary, because turning numbers into text and back costs more than all that
-- is computed with them.
local TIME_BYTES, RECORD_BYTES, MARKER_BYTES, LAST = 8, 28, 16, '\1'
-- Where in a record its parts begin.
local CLAIM, ID, SECOND, MARKER = 0, 4, 8, 12
-- So many reports of a reporter are remembered.
local RECORDS_MAX = 128
local NOT_STORED, NO_CLAIM = string.rep('\0', MARKER_BYTES), string.rep('\0', 4)

local sub, find, pack, unpack_bytes = string.sub, string.find, struct.pack, struct.unpack

local function count_records(value)
  return (#value - TIME_BYTES - #LAST) / RECORD_BYTES
end

-- A found value as a gateway can have written it; nil when it is no text, or too short. A mark that was written beyond the
-- end of a shorter value, or into nothing, left it without its last byte. Of what else does not fit the time is kept,
-- which is looked at again and which no mark can have reached.
local function read(found)
  if type(found) ~= 'string' or #found < TIME_BYTES then return nil end
  local is_ended, over = sub(found, -1) == LAST, (#found - TIME_BYTES) % RECORD_BYTES
  if #found <= TIME_BYTES + RECORDS_MAX * RECORD_BYTES + #LAST then
    if is_ended and over == #LAST then return found end
    if not is_ended and over == 0 then return found .. LAST end
  end
  return sub(found, 1, TIME_BYTES) .. LAST
end

-- How many bytes stand before a part of a record.
local function before(record, part)
  return TIME_BYTES + record * RECORD_BYTES + part
end

-- The first record, from this one on, whose part begins with these bytes.
local function find_record(value, part, bytes, from)
  local at = find(value, bytes, before(from, part) + 1, true)
  while at and (at - before(0, part) - 1) % RECORD_BYTES ~= 0 do at = find(value, bytes, at + 1, true) end
  return at and (at - before(0, part) - 1) / RECORD_BYTES
end

local function second_of(value, record)
  return unpack_bytes('>I4', value, before(record, SECOND) + 1)
end

local function marker_of(value, record)
  return sub(value, before(record, MARKER) + 1, before(record + 1, 0))
end

-- The records of a value with one more, less those that have had their time or are too many; and the place of the new one.
-- No place when some had to go: it will move again with the next.
local function add_record(value, claim_and_id, second, kept_s, marker)
  local records, gone = count_records(value), 0
  while gone < records and (records - gone >= RECORDS_MAX or math.abs(second - second_of(value, gone)) >= kept_s) do
    gone = gone + 1
  end
  local kept = sub(value, before(gone, 0) + 1, -1 - #LAST)
  return kept .. claim_and_id .. pack('>I4', second) .. marker .. LAST, gone == 0 and records
end
