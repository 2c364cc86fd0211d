-- acquire: one lease of the next ready account, by weighted round robin; else a place in the queue; else a refusal.
-- KEYS: 1 mgw:{accounts}:turns (hash `:<account>` -> turn, clock)   2 mgw:{accounts}:queue (zset lease_id -> ticket)
--       3 mgw:{accounts}:waiters (hash lease_id -> "expires_ms\n:name\n…", ticket)
--       4 mgw:{accounts}:sticky:<digest> (string account)
-- KEYS each: 1 mgw:{accounts}:a:<name>:leases (zset lease_id -> expires_ms)   2 mgw:{accounts}:a:<name>:state (hash)
--       3 mgw:{accounts}:a:<name>:window (zset, see lib/window.lua)
-- ARGV: 1 now_ms (0: TIME, as in production)  2 lease_id  3 lease_ttl_ms  4 tokens, the estimate
--       5 wait_ms, how long this request may still wait  6 how long the queue may be  7 waiter_ttl_ms  8 state_ttl_ms
--       9 1 when the conversation is sticky   10 1 when it may have been asked before; then for each candidate:
--       name, "max_concurrency requests_per_minute tokens_per_minute weight" (-1: no such limit)
-- Returns {'leased', candidate from 1, and of a sticky one: hit, moved or miss (it stuck to none)} or {status, retry_after_ms, place in the queue, busy candidates, why}; status is
-- waiting, busy (will not or may not wait), full (the queue is) or none (no candidate can come back by itself).
-- O(candidates) when one is ready, a few calls more for each that is not. A refusal takes nothing.
-- The same lease_id twice is one lease, when ARGV 10 says so: safe to repeat after a lost reply.
--
-- The turn. Each account has the virtual time of its next turn; the earliest ready one is taken and moved on by
-- 1/weight. `clock` is the turn last taken: who was away re-enters at the clock and gets no arrears. Ties go to whom
-- is longest without a turn, so the spread of even requests stays within one.
-- The queue. A freed slot belongs to whoever has waited longest among those who can use it: a request may take
-- one only while fewer waiters stand before it than slots are free.
-- USES: window
local TURN = 720720  -- divides evenly by every weight to 16
local MAX_LEAD = 8 * TURN  -- how far sticky conversations may bring an account ahead of its turns
local turns_key, queue, waiters, sticky = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now = clock_ms(ARGV[1])
local lease_id, lease_ttl, tokens = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local wait_ms, queue_room, waiter_ttl = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local count = (#KEYS - 4) / 3

local function name_of(i) return ARGV[9 + 2 * i] end
local function limits_of(i) return string.match(ARGV[10 + 2 * i], '(%S+) (%S+) (%S+) (%S+)') end
local function leases_of(i) return KEYS[2 + 3 * i] end
local function state_of(i) return KEYS[3 + 3 * i] end
local function window_of(i) return KEYS[4 + 3 * i] end

if ARGV[10] == '1' then  -- asked before, and perhaps answered
  for i = 1, count do
    if redis.call('ZSCORE', leases_of(i), lease_id) then return {'leased', i} end
  end
end

local queued = redis.call('ZCARD', queue)
local names = {'clock'}
for i = 1, count do names[i + 1] = ':' .. name_of(i) end
local turn = redis.call('HMGET', turns_key, unpack(names))
local clock = tonumber(turn[1] or '0')

-- Each candidate's turn as stored (-1: none yet), and as it counts now.
local stored, turns = {}, {}
local first  -- whose turn it is, ready or not
local function earlier(i, j)
  if turns[i] ~= turns[j] then return turns[i] < turns[j] end
  return stored[i] < stored[j]
end
for i = 1, count do
  local own = tonumber(turn[i + 1] or -1)
  stored[i] = own
  turns[i] = own < clock and clock or own > clock + MAX_LEAD and clock + MAX_LEAD or own
  if not first or earlier(i, first) then first = i end
end

local half_open = {}
local stuck = ARGV[9] == '1' and redis.call('GET', sticky)

-- How many slots are free (0: none), and when none: milliseconds until a look is worth it, and why.
local function room_of(i)
  local s = redis.call('HMGET', state_of(i), 'quarantine', 'cool_until', 'opens', 'open_until', 'probe', 'why')
  if s[1] then return 0, -1, s[6] or 'quarantined' end
  if s[2] and tonumber(s[2]) > now then return 0, s[2] - now, s[6] end
  local is_half_open = s[3] and s[3] ~= '0'
  if is_half_open and tonumber(s[4]) > now then return 0, s[4] - now, s[6] end
  local max_slots, max_requests, max_tokens = limits_of(i)
  local free = max_slots - redis.call('ZCOUNT', leases_of(i), '(' .. now, '+inf')
  if free <= 0 then return 0, 0, 'busy' end
  half_open[i] = is_half_open
  if is_half_open then
    local probe_ends = s[5] and redis.call('ZSCORE', leases_of(i), s[5])
    if probe_ends and tonumber(probe_ends) > now then return 0, 1000, s[6] end
    free = 1
  end
  max_requests, max_tokens = tonumber(max_requests), tonumber(max_tokens)
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
  redis.call('ZADD', leases_of(i), now + lease_ttl, lease_id)
  redis.call('PEXPIRE', leases_of(i), 2 * lease_ttl)
  if half_open[i] then redis.call('HSET', state_of(i), 'probe', lease_id) end
  local _, max_requests, max_tokens, weight = limits_of(i)
  if max_requests ~= '-1' or max_tokens ~= '-1' then
    window_add(window_of(i), state_of(i), now, lease_id, tokens)
    redis.call('PEXPIRE', state_of(i), ARGV[8])
  end
  local following = turns[i] + math.floor(TURN / math.max(weight, 1))
  if by_turn then redis.call('HSET', turns_key, names[i + 1], following, 'clock', turns[i])
  else redis.call('HSET', turns_key, names[i + 1], following) end
  -- A day after the first turn all begin again at zero: that costs no fairness and keeps the numbers exact.
  if stored[i] < 0 then redis.call('PEXPIRE', turns_key, 86400000) end
  if queued > 0 and redis.call('ZREM', queue, lease_id) == 1 then redis.call('HDEL', waiters, lease_id) end
  if ARGV[9] ~= '1' then return {'leased', i} end
  return {'leased', i, stuck and (stuck == name_of(i) and 'hit' or 'moved') or 'miss'}
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

local total, best, best_sticks, busy, retry_after, why = 0, nil, false, 0, -1, nil
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
  ticket = redis.call('HINCRBY', waiters, 'ticket', 1)
  redis.call('ZADD', queue, ticket, lease_id)
end
names[1] = string.format('%d', now + waiter_ttl)
redis.call('HSET', waiters, lease_id, table.concat(names, '\n') .. '\n')
redis.call('PEXPIRE', queue, 60000)
redis.call('PEXPIRE', waiters, 60000)
return {'waiting', retry_after, redis.call('ZRANK', queue, lease_id), busy, why or ''}
