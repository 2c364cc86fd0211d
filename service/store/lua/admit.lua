-- admit: let one request of an API key in: its minute's requests and tokens, a slot, its budget. All or none.
-- KEYS: 1 mgw:{k:<key_id>}:window (zset, see lib/window.lua)   2 mgw:{k:<key_id>}:meter (hash window_tokens, spent)
--       3 mgw:{k:<key_id>}:slots (zset request_id -> expires_ms)
-- ARGV: 1 now_ms (0: TIME, as in production)  2 request_id  3 tokens, the estimate  4 requests_per_minute
--       5 tokens_per_minute  6 max_concurrency  7 budget_micro_usd  8 slot_ttl_ms  9 meter_ttl_ms
--       Limits of -1 do not exist.
-- Returns {1, requests_left, tokens_left} or {0, which, retry_after_ms, requests_left, tokens_left}; which is
-- requests, tokens, too_large, concurrency or budget; retry_after_ms -1: waiting does not help.
-- O(log of what is in the minute). Refusing takes nothing; it only drops what has expired.
-- The same request_id twice is one admission: safe to repeat after a lost reply.
-- USES: window
local window, meter, slots = KEYS[1], KEYS[2], KEYS[3]
local now = clock_ms(ARGV[1])
local id, tokens = ARGV[2], tonumber(ARGV[3])
local max_requests, max_tokens = tonumber(ARGV[4]), tonumber(ARGV[5])
local max_slots, budget = tonumber(ARGV[6]), tonumber(ARGV[7])
local counts_minute = max_requests >= 0 or max_tokens >= 0

local function left(limit, used)
  if limit < 0 then return -1 end
  return math.max(limit - used, 0)
end

local requests, used = 0, 0
if counts_minute then
  requests, used = window_read(window, meter, now)
  if redis.call('ZSCORE', window, string.format('%d:%s', tokens, id)) then
    return {1, left(max_requests, requests), left(max_tokens, used)}
  end
elseif max_slots >= 0 and redis.call('ZSCORE', slots, id) then
  return {1, -1, -1}
end

local function refused(which, wait_ms)
  return {0, which, wait_ms, left(max_requests, requests), left(max_tokens, used)}
end

if budget >= 0 and tonumber(redis.call('HGET', meter, 'spent') or '0') >= budget then
  return refused('budget', -1)
end
if max_slots >= 0 then
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
  if redis.call('ZCARD', slots) >= max_slots then return refused('concurrency', max_slots == 0 and -1 or 1000) end
end
if max_requests >= 0 and requests + 1 > max_requests then
  if max_requests == 0 then return refused('requests', -1) end
  return refused('requests', window_wait(window, now, requests + 1 - max_requests, 0))
end
if max_tokens >= 0 and used + tokens > max_tokens then
  if tokens > max_tokens then return refused('too_large', -1) end
  return refused('tokens', window_wait(window, now, 0, used + tokens - max_tokens))
end

if counts_minute then
  window_add(window, meter, now, id, tokens)
  redis.call('PEXPIRE', meter, ARGV[9])
end
if max_slots >= 0 then
  redis.call('ZADD', slots, now + ARGV[8], id)
  redis.call('PEXPIRE', slots, 2 * ARGV[8])
end
return {1, left(max_requests, requests + 1), left(max_tokens, used + tokens)}
