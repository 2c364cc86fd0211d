-- release: give a lease back, and book what its end says of the account.
-- KEYS: 1 mgw:{accounts}:a:<name>:leases (zset)   2 mgw:{accounts}:a:<name>:state (hash)
--       3 mgw:{accounts}:a:<name>:window (zset)   4 mgw:{accounts}:sticky:<digest> (string account)
--       5 mgw:{accounts}:queue (zset)
-- ARGV: 1 now_ms (0: TIME)  2 lease_id  3 account name  4 outcome: success, cooldown, quarantine, failure
--       5 reason  6 duration_ms of the first cooldown of a row (0: 1 s)  7 max_failures
--       8 first rest of the breaker, ms  9 longest rest, ms  10 state_ttl_ms  11 sticky_ttl_ms (0: not sticky)
--       12 tokens that were reserved  13 tokens really used (-1: not known)
-- Returns {1 when the lease was still held, how many wait in the queue}. O(log n).
-- Repeating is safe: a failure is counted only while the lease is held; the others say the same twice.
-- State: `failures` in a row; `opens` how often the breaker opened in a row (0: closed), `open_until`, then one `probe`;
-- `cool_until`, `cools` in a row; `quarantine`; `why` and `since` of the last change.
-- Each cooldown of a row lasts twice as long as the one before. What ends during a rest began before it: it neither
-- makes the row longer nor ends it.
-- USES: window
local leases, state, window, sticky, queue = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now = clock_ms(ARGV[1])
local lease_id, name, outcome, reason = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local was_held = redis.call('ZREM', leases, lease_id)

local function note(...)
  redis.call('HSET', state, 'why', reason, 'since', now, ...)
  redis.call('PEXPIRE', state, ARGV[10])
end
local function grown(first, longest, times)
  return math.min(first * 2 ^ math.min(times, 20), longest)
end

local s = redis.call('HMGET', state, 'failures', 'opens', 'probe', 'cools', 'cool_until')
local opens = tonumber(s[2] or '0')
local is_probe = s[3] == lease_id
local cool_until = tonumber(s[5] or '0')
local is_resting = cool_until > now
if is_probe then redis.call('HDEL', state, 'probe') end

if outcome == 'success' then
  -- While the breaker is open only its probe's success counts: others began before the trouble.
  if opens == 0 or is_probe then
    if s[1] or s[2] then redis.call('HDEL', state, 'failures', 'opens', 'open_until') end
    if s[4] and not is_resting then redis.call('HDEL', state, 'cools') end
  end
elseif outcome == 'cooldown' then
  local first, cools = tonumber(ARGV[6]), tonumber(s[4] or '0')
  if first <= 0 then first = 1000 end
  local duration = first
  if not is_resting then
    duration = grown(first, math.max(first, tonumber(ARGV[9])), cools)
    if was_held == 1 then redis.call('HSET', state, 'cools', cools + 1) end
  end
  local until_ms = math.max(now + duration, cool_until)
  note('cool_until', string.format('%d', until_ms))
elseif outcome == 'quarantine' then
  note('quarantine', '1')
elseif outcome == 'failure' and was_held == 1 then
  local failures = redis.call('HINCRBY', state, 'failures', 1)
  if is_probe or (opens == 0 and failures >= tonumber(ARGV[7])) then
    note('opens', opens + 1, 'open_until', string.format('%d', now + grown(ARGV[8], ARGV[9], opens)))
  end
  redis.call('PEXPIRE', state, ARGV[10])
end

if ARGV[11] ~= '0' then
  if outcome == 'success' then redis.call('SET', sticky, name, 'PX', ARGV[11])
  elseif redis.call('GET', sticky) == name then redis.call('DEL', sticky) end
end
if ARGV[13] ~= '-1' and was_held == 1 and redis.call('EXISTS', window) == 1 then
  window_settle(window, state, now, lease_id, tonumber(ARGV[12]), tonumber(ARGV[13]))
end
return {was_held, redis.call('ZCARD', queue)}
