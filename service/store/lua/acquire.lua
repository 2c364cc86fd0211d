-- acquire: one lease of the next ready account, by weighted round robin; else a place in the queue; else a refusal.
-- KEYS: 1 mgw:{accounts}:turns (hash `:<account>` -> turn, clock, ticket)   2 mgw:{accounts}:queue (zset lease_id -> ticket)
--       3 mgw:{accounts}:waiters (hash lease_id -> "expires_ms\n:name\n…")
--       4 mgw:{accounts}:sticky:<digest> (string account)   5 mgw:{accounts}:once:<lease_id> (string account)
-- KEYS each: 1 mgw:{accounts}:a:<name>:leases (zset lease_id -> expires_ms)   2 mgw:{accounts}:a:<name>:state (hash)
--       3 mgw:{accounts}:a:<name>:window (zset, see lib/window.lua)
-- ARGV: 1 now_ms (0: TIME, as in production)  2 lease_id  3 lease_ttl_ms  4 tokens, the estimate
--       5 wait_ms, how long this request may still wait  6 how long the queue may be  7 waiter_ttl_ms  8 state_ttl_ms
--       9 1 when the conversation is sticky; then for each candidate: name, max_concurrency, requests_per_minute,
--       tokens_per_minute (-1: no such limit), weight
-- Returns {'leased', candidate from 1} or {status, retry_after_ms, place in the queue, busy candidates, why}; status is
-- waiting, busy (will not or may not wait), full (the queue is) or none (no candidate can come back by itself).
-- O(candidates) when one is ready, a few calls more for each that is not. A refusal takes nothing.
-- The same lease_id twice is one lease: safe to repeat after a lost reply.
--
-- The turn. Each account has the virtual time of its next turn; the earliest ready one is taken and moved on by
-- 1/weight. `clock` is the turn last taken: who was away re-enters at the clock and gets no arrears. Ties go to whom
-- is longest without a turn, so the spread of even requests stays within one.
-- The queue. A freed slot belongs to whoever has waited longest among those who can use it: a request may take
-- one only while fewer waiters stand before it than slots are free.
-- USES: window
local TURN = 720720  -- divides evenly by every weight to 16
local MAX_LEAD = 16
local turns_key, queue, waiters, sticky, once = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now = clock_ms(ARGV[1])
local lease_id, lease_ttl, tokens = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local wait_ms, queue_room, waiter_ttl = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local FIRST = 10
local count = (#KEYS - 5) / 3

local function name_of(i) return ARGV[FIRST + 5 * (i - 1)] end
local function number_of(i, field) return tonumber(ARGV[FIRST + 5 * (i - 1) + field]) end
local function leases_of(i) return KEYS[6 + 3 * (i - 1)] end
local function state_of(i) return KEYS[7 + 3 * (i - 1)] end
local function window_of(i) return KEYS[8 + 3 * (i - 1)] end

-- Asked before and answered, but the answer was lost.
local given = redis.call('GET', once)
if given then
  for i = 1, count do
    if name_of(i) == given and redis.call('ZSCORE', leases_of(i), lease_id) then return {'leased', i} end
  end
end

local names = {'clock'}
for i = 1, count do names[i + 1] = ':' .. name_of(i) end
local turn = redis.call('HMGET', turns_key, unpack(names))
local clock = tonumber(turn[1] or '0')

local function step_of(i) return math.floor(TURN / math.max(number_of(i, 4), 1)) end
local function raw_turn(i) return tonumber(turn[i + 1] or '-1') end
local function turn_of(i)
  return math.min(math.max(raw_turn(i), clock), clock + MAX_LEAD * step_of(i))
end
local function earlier(i, j)
  local a, b = turn_of(i), turn_of(j)
  if a ~= b then return a < b end
  if raw_turn(i) ~= raw_turn(j) then return raw_turn(i) < raw_turn(j) end
  return number_of(i, 4) > number_of(j, 4)
end

-- How many slots are free (0: none), and when none: milliseconds until a look is worth it, and why.
local function room_of(i)
  local s = redis.call('HMGET', state_of(i), 'quarantine', 'cool_until', 'opens', 'open_until', 'probe', 'why')
  if s[1] then return 0, -1, s[6] or 'quarantined' end
  if s[2] and tonumber(s[2]) > now then return 0, s[2] - now, s[6] end
  local is_half_open = s[3] and s[3] ~= '0'
  if is_half_open and tonumber(s[4]) > now then return 0, s[4] - now, s[6] end
  local free = number_of(i, 1) - redis.call('ZCOUNT', leases_of(i), '(' .. now, '+inf')
  if free <= 0 then return 0, 0, 'busy' end
  if is_half_open then
    local probe_ends = s[5] and redis.call('ZSCORE', leases_of(i), s[5])
    if probe_ends and tonumber(probe_ends) > now then return 0, 1000, s[6] end
    free = 1
  end
  local max_requests, max_tokens = number_of(i, 2), number_of(i, 3)
  if max_requests >= 0 or max_tokens >= 0 then
    local requests, used = window_read(window_of(i), state_of(i), now)
    if max_requests >= 0 and requests >= max_requests then
      return 0, max_requests == 0 and -1 or window_wait(window_of(i), now, requests + 1 - max_requests, 0), 'requests'
    end
    -- A request that is larger than the whole limit goes alone: the limit is the upstream's, and it shall answer.
    if max_tokens >= 0 and used > 0 and used + tokens > max_tokens then
      return 0, window_wait(window_of(i), now, 0, used + tokens - max_tokens), 'tokens'
    end
    if max_requests >= 0 then free = math.min(free, max_requests - requests) end
  end
  return free
end

local function take(i, by_turn)
  local state = state_of(i)
  redis.call('ZREMRANGEBYSCORE', leases_of(i), '-inf', now)
  redis.call('ZADD', leases_of(i), now + lease_ttl, lease_id)
  redis.call('PEXPIRE', leases_of(i), 2 * lease_ttl)
  redis.call('SET', once, name_of(i), 'PX', lease_ttl)
  local opens = redis.call('HGET', state, 'opens')
  if opens and opens ~= '0' then redis.call('HSET', state, 'probe', lease_id) end
  if number_of(i, 2) >= 0 or number_of(i, 3) >= 0 then
    window_add(window_of(i), state, now, lease_id, tokens)
    redis.call('PEXPIRE', state, ARGV[8])
  end
  local mine = turn_of(i)
  if by_turn then redis.call('HSET', turns_key, 'clock', mine, names[i + 1], mine + step_of(i))
  else redis.call('HSET', turns_key, names[i + 1], mine + step_of(i)) end
  redis.call('PEXPIRE', turns_key, 86400000)
  if redis.call('ZREM', queue, lease_id) == 1 then redis.call('HDEL', waiters, lease_id) end
  return {'leased', i}
end

local function waiter_stands(id)
  local entry = redis.call('HGET', waiters, id)
  if entry and tonumber(string.match(entry, '^%d+')) > now then return entry end
  redis.call('ZREM', queue, id)
  redis.call('HDEL', waiters, id)
  return nil
end

local function wants_mine(entry)
  for i = 1, count do
    if string.find(entry, '\n' .. names[i + 1] .. '\n', 1, true) then return true end
  end
  return false
end

-- Whether fewer waiters stand before this request than `free`. Drops the entries of those who went away.
local function may_take(free)
  local before = 0
  for _, id in ipairs(redis.call('ZRANGE', queue, 0, -1)) do
    if id == lease_id then return true end
    local entry = waiter_stands(id)
    if entry and wants_mine(entry) then
      before = before + 1
      if before >= free then return false end
    end
  end
  return true
end

local queued = redis.call('ZCARD', queue)
local total, best, best_sticks, busy, retry_after, why = 0, nil, false, 0, -1, nil
local first
for i = 1, count do
  if not first or earlier(i, first) then first = i end
end

local stuck = ARGV[9] == '1' and redis.call('GET', sticky)
if queued == 0 then  -- the usual case: the one whose turn it is, or the conversation's own, is ready
  if stuck then
    for i = 1, count do
      if name_of(i) == stuck and room_of(i) > 0 then return take(i, false) end
    end
  end
  if room_of(first) > 0 then return take(first, true) end
end

for i = 1, count do
  local room, wait, reason = room_of(i)
  if room > 0 then
    total = total + room
    if name_of(i) == stuck then best, best_sticks = i, true
    elseif not best_sticks and (not best or earlier(i, best)) then best = i end
  else
    if reason == 'busy' then busy = busy + 1
    elseif wait >= 0 and (retry_after < 0 or wait < retry_after) then retry_after, why = wait, reason end
    why = why or reason
  end
end
if best and (queued == 0 or may_take(total)) then return take(best, not best_sticks) end

if best then busy = busy + 1 end  -- ready, but others have waited longer
if busy == 0 and retry_after < 0 then return {'none', -1, 0, 0, why or ''} end
if wait_ms <= 0 or (busy == 0 and retry_after > wait_ms) then
  if redis.call('ZREM', queue, lease_id) == 1 then redis.call('HDEL', waiters, lease_id) end
  return {'busy', retry_after, 0, busy, why or ''}
end
local ticket = redis.call('ZSCORE', queue, lease_id)
if not ticket then
  if queued >= queue_room then
    for _, id in ipairs(redis.call('ZRANGE', queue, 0, -1)) do waiter_stands(id) end
    if redis.call('ZCARD', queue) >= queue_room then return {'full', retry_after, 0, busy, why or ''} end
  end
  ticket = redis.call('HINCRBY', turns_key, 'ticket', 1)
  redis.call('PEXPIRE', turns_key, 86400000)
  redis.call('ZADD', queue, ticket, lease_id)
end
names[1] = string.format('%d', now + waiter_ttl)
redis.call('HSET', waiters, lease_id, table.concat(names, '\n') .. '\n')
redis.call('PEXPIRE', queue, 60000)
redis.call('PEXPIRE', waiters, 60000)
return {'waiting', retry_after, redis.call('ZRANK', queue, lease_id), busy, why or ''}
