-- Replaces a value only if it still is the one that was read, so that of two who replace it one does. KEYS: the value.
-- ARGV: what was read (empty: nothing was there), what it becomes, its seconds to live. Answers 1 when replaced, else 0. An error of a write goes
-- out as it is. (A value of another type is none of ours, and never what was read.)
if (redis.pcall('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local written = redis.pcall('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
if written.err then return written end
return 1
