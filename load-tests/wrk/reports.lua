-- Posts reports with wrk 4.1: every request is a distinct report from a distinct reporter.
--
--   SPAMGATE_KEY=... wrk -t1 -c256 -d10s -s reports.lua http://127.0.0.1:8080/v1/reports
--   wrk -t1 -c256 -d10s -s reports.lua http://127.0.0.1:8080/v1/reports -- KEY
--
-- A request must cost wrk far less than it costs the server, so nearly all of it is made before the run: one template a
-- sender, cut where the report id and the reporter go. All bodies have the same length, so Content-Length is made once.
--
-- SPAMGATE_COUNT_STATUS=0 leaves out the count by status, which costs wrk about 1 µs a request; refused reports are still
-- counted and shown then, in one sum.

local BODY_BYTES = 365
local SENDERS = 1000
local COUNTER_START = 10 ^ 9       -- so that a counter always has ten digits and needs no padding
local COUNTER_DIGITS = 10
local REPORTER_DIGITS = 9          -- after the leading 0: two digits of prefix and seven free ones
local REPORTER_TAIL_COUNT = 10 ^ 7
local REPORTER_STEP = 7654321      -- has no common factor with 10^7: all tails come before one comes again
local COUNTER_STARTS = 9 * 10 ^ 7  -- so many reporters there are, with 36 prefixes; one counted past it comes again
local SECONDS_PER_HOUR = 3600
local OLDEST_HOURS = 7 * 24
local STATUS_MIN, STATUS_MAX = 100, 599

-- Two digits after the leading 0 of a Vietnamese mobile number, after which all seven digits are free.
local MOBILE_PREFIXES = {
  "30", "31", "32", "33", "34", "35", "36", "37", "38", "39", "51", "56", "58", "59", "70", "76", "77", "78", "79",
  "81", "82", "83", "84", "85", "86", "87", "88", "90", "91", "92", "93", "94", "95", "96", "97", "98",
}

local BRANDNAMES = { "NHADAT24H", "VAYNHANH", "SHOPXANH", "QC-PLUS", "SIM SO1", "TIN_365" }

-- category, text; each text is long enough to be cut to the length that the body leaves
local TEXTS = {
  { "spam", "Bán gấp căn hộ 2 phòng ngủ view sông, giá chỉ từ 1,9 tỷ, ngân hàng hỗ trợ vay 70%, miễn lãi 18 tháng. Đặt chỗ hôm nay nhận ngay chiết khấu 5%. Liên hệ phòng kinh doanh để được xem nhà mẫu. " },
  { "spam", "Nhan lam SIM so dep, nap the chiet khau 20%, goi data khong gioi han chi 50k/thang. Giao hang tan noi, thu tien tai nha. Soan tin hoac goi ngay de duoc tu van mien phi 24/7, uu dai chi trong hom nay. " },
  { "scam", "Chúc mừng! Thuê bao của bạn đã trúng thưởng một xe máy và 100 triệu đồng tiền mặt. Để nhận giải, hãy đóng trước phí hồ sơ 2 triệu và gửi mã OTP cho nhân viên của chúng tôi trước 17 giờ hôm nay. " },
  { "scam", "Tai khoan ngan hang cua ban da bi khoa do dang nhap la tu nuoc ngoai. Vui long truy cap duong dan ben duoi va nhap mat khau de mo lai trong vong 24 gio, neu khong tai khoan se bi huy vinh vien. " },
  { "scam", "Your parcel could not be delivered because of an unpaid customs fee of 25,000 VND. Follow the link and enter your card details today, otherwise the parcel goes back to the sender and storage is charged. " },
  { "spam", "Part-time job at home: like videos, earn from 300,000 to 800,000 VND a day, paid every evening. No deposit, no experience needed, only a phone. Reply YES or add our manager on the chat app to start now. " },
  { "fake_news", "TIN KHẨN: bão cấp 17 đổ bộ trong đêm nay, nhà nước giấu tin, điện sẽ bị cắt toàn thành phố trong bảy ngày. Hãy chuyển tiếp cho mọi người bạn biết và mua gạo, nước uống dự trữ ngay lập tức. " },
}

local function fail(message)
  io.stderr:write("reports.lua: ", message, "\n")
  os.exit(2)
end

-- Main state: remembers the threads, so that done() can ask them.
local threads = {}

function setup(thread)
  thread:set("thread_number", #threads)
  threads[#threads + 1] = thread
end

local function random_hex(bytes)
  local source = io.open("/dev/urandom", "rb")
  if not source then fail("/dev/urandom cannot be read") end
  local drawn = source:read(bytes)
  source:close()
  return (drawn:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

-- The label makes the ids of one run differ from those of every other run.
local function random_label()
  return random_hex(6)
end

-- Each thread of each run counts from a place of its own: the same reporters would say the same again, and a gateway
-- would count no report but link repeats.
local function random_below(most)
  return tonumber(random_hex(4), 16) % most
end

local function sender_name(number)
  local kind = number % 20
  if kind == 0 then return BRANDNAMES[number / 20 % #BRANDNAMES + 1] end
  if kind == 1 then return string.format("9%03d", number) end
  if kind == 2 and number % 100 == 2 then return "hidden" end
  return string.format("0%s%07d", MOBILE_PREFIXES[number % #MOBILE_PREFIXES + 1], number * REPORTER_STEP % REPORTER_TAIL_COUNT)
end

-- Exactly `length` bytes of the text, over and over, never cut inside a character.
local function fill(text, length)
  local filled = text:rep(math.ceil(length / #text))
  local cut = length
  while cut > 0 and filled:byte(cut + 1) and filled:byte(cut + 1) >= 0x80 and filled:byte(cut + 1) < 0xC0 do
    cut = cut - 1
  end
  return filled:sub(1, cut) .. string.rep(".", length - cut)
end

-- A whole request in three parts: before the counter, between counter and reporter, after the reporter.
local function make_template(number, head, id_start, now)
  local text = TEXTS[number % #TEXTS + 1]
  local channel = number % 7 == 3 and "call" or "sms"
  local occurred_at = os.date("!%Y-%m-%dT%H:%M:%SZ", now - number % OLDEST_HOURS * SECONDS_PER_HOUR - number)
  local before = '{"report_id":"' .. id_start
  local between = '","reporter":"0'
  local after = '","sender":"' .. sender_name(number) .. '","channel":"' .. channel .. '","category":"' .. text[1]
    .. '","occurred_at":"' .. occurred_at .. '","content":"'
  local used = #before + COUNTER_DIGITS + #between + REPORTER_DIGITS + #after + 2
  return { head .. before, between, after .. fill(text[2], BODY_BYTES - used) .. '"}' }
end

local BEFORE, BETWEEN, AFTER = {}, {}, {}
local counter = 0

function init(args)
  local key = args[1] or os.getenv("SPAMGATE_KEY")
  if not key or key == "" then fail("set SPAMGATE_KEY, or give the key after --") end
  local path = (wrk.path == nil or wrk.path == "" or wrk.path == "/") and "/v1/reports" or wrk.path
  local head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"]
    .. "\r\nAuthorization: Bearer " .. key
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. BODY_BYTES .. "\r\n\r\n"
  local id_start = string.format("wrk-%s-%02d-", random_label(), thread_number)
  local now = os.time()
  for number = 1, SENDERS do
    local template = make_template(number, head, id_start, now)
    BEFORE[number], BETWEEN[number], AFTER[number] = template[1], template[2], template[3]
  end
  counter = random_below(COUNTER_STARTS)
end

local REPORTER_BASES = {}
for place, prefix in ipairs(MOBILE_PREFIXES) do REPORTER_BASES[place] = tonumber(prefix) * REPORTER_TAIL_COUNT end
local reporter_base_count = #REPORTER_BASES

-- One concatenation and no other string: this runs for every request.
function request()
  counter = counter + 1
  local sender = counter % SENDERS + 1
  local reporter = REPORTER_BASES[counter % reporter_base_count + 1] + counter * REPORTER_STEP % REPORTER_TAIL_COUNT
  return BEFORE[sender] .. (COUNTER_START + counter) .. BETWEEN[sender] .. reporter .. AFTER[sender]
end

-- wrk reads thread:get() from globals, and only numbers, strings and flat tables.
if os.getenv("SPAMGATE_COUNT_STATUS") ~= "0" then
  statuses = {}
  for status = STATUS_MIN, STATUS_MAX do statuses[status] = 0 end

  function response(status)
    statuses[status] = (statuses[status] or 0) + 1
  end
end

local function sum_statuses()
  local sums = {}
  for _, thread in ipairs(threads) do
    for status, number in pairs(thread:get("statuses") or {}) do sums[status] = (sums[status] or 0) + number end
  end
  return sums
end

function done(summary, latency)
  local sums = sum_statuses()
  local refused = 0
  for status = STATUS_MIN, STATUS_MAX do
    local number = sums[status] or 0
    if number > 0 then io.write(string.format("status %d: %d\n", status, number)) end
    if number > 0 and (status < 200 or status > 299) then refused = refused + number end
  end
  local errors = summary.errors
  refused = math.max(refused, errors.status)
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  if refused > 0 then io.write("REFUSED: ", refused, " answers were not 2xx\n") end
  if broken > 0 then
    io.write(string.format("BROKEN: %d connect, %d read, %d write, %d timeout\n",
      errors.connect, errors.read, errors.write, errors.timeout))
  end
  -- the line that compare.sh reads
  io.write(string.format("RESULT requests_per_s=%.0f p99_ms=%.2f refused=%d broken=%d\n",
    summary.requests / (summary.duration / 1e6), latency:percentile(99) / 1e3, refused, broken))
end
