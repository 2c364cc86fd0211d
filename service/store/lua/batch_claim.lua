-- batch_claim: the next items of one shard for one worker: those of workers that vanished, those whose wait is over,
-- then new ones in fair turns.
-- Fairness: each batch has a virtual time; the least is served next and moves on by the number of batches that its
-- owner has waiting. So every owner gets the same share, and every batch of an owner the same part of that share; a
-- batch that comes or wakes up starts at the clock (the time served last) and cannot claim what it missed.
-- KEYS: 1 mgw:{q:<shard>}:stream (stream)   2 mgw:{q:<shard>}:turns (zset batch -> virtual time)
--       3 mgw:{q:<shard>}:cursors (hash batch -> `<next> <total> <key_id>`; `:clock`)
--       4 mgw:{q:<shard>}:owners (hash key_id -> batches that wait)   5 mgw:{q:<shard>}:waits (zset batch -> served_ms)
--       6 mgw:{q:<shard>}:delayed (zset `<batch> <key_id> <number> <tries> <deaths>` -> due_ms)
--       7 mgw:{q:<shard>}:pauses (hash batch -> until_ms)
--       8 mgw:{q:<shard>}:expiries (zset `<batch> <key_id>` -> expires_ms)
-- ARGV: 1 now_ms (0: TIME)  2 consumer  3 room, how many items it wants  4 min_idle_ms of a vanished worker's item
--       5 cursor of XAUTOCLAIM  6 shard_ttl_ms
-- Returns {entries, cursor, owners, lag_ms, overdue, reclaimed}; an entry is {id, batch, key_id, number, tries, deaths};
-- overdue are `<batch> <key_id>`. O(room * log batches), and one step for each paused batch.
-- A lost reply leaves its items to this consumer: they come back after min_idle_ms.
-- USES: batch
local stream, turns, cursors, owners, waits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local delayed, pauses, expiries = KEYS[6], KEYS[7], KEYS[8]
local now = batch_clock(ARGV[1])
local consumer, room = ARGV[2], tonumber(ARGV[3])
local entries, reclaimed = {}, 0
batch_stream(stream)

local function take(entry, deaths)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  entries[#entries + 1] =
    {entry[1], fields.b, fields.o, fields.n, tonumber(fields.t), tonumber(fields.d) + deaths}
end

local function deliver(count)
  if count <= 0 then return end
  local reply = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if reply then
    for _, entry in ipairs(reply[1][2]) do take(entry, 0) end
  end
end

local cursor = '0-0'
if room > 0 then
  local reply = redis.call('XAUTOCLAIM', stream, GROUP, consumer, ARGV[4], ARGV[5], 'COUNT', room)
  cursor = reply[1]
  for _, entry in ipairs(reply[2]) do
    if entry then
      local pending = redis.call('XPENDING', stream, GROUP, entry[1], entry[1], 1)
      take(entry, pending[1] and pending[1][4] - 1 or 1)
      reclaimed = reclaimed + 1
    end
  end
end

local due = {}
if room > #entries then due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, room - #entries) end
for _, member in ipairs(due) do
  batch_push(stream, string.match(member, '^(%S+) (%S+) (%S+) (%S+) (%S+)$'))
  redis.call('ZREM', delayed, member)
end
deliver(room - #entries)

local skipped, fed = 0, 0
while fed < room - #entries do
  local top = redis.call('ZRANGE', turns, skipped, skipped, 'WITHSCORES')
  if #top == 0 then break end
  local batch = top[1]
  local pause = redis.call('HGET', pauses, batch)
  if pause and tonumber(pause) > now then
    skipped = skipped + 1
  else
    if pause then redis.call('HDEL', pauses, batch) end
    local at, total, owner = string.match(redis.call('HGET', cursors, batch), '^(%d+) (%d+) (%S+)$')
    local clock = math.max(tonumber(top[2]), tonumber(redis.call('HGET', cursors, ':clock') or '0'))
    batch_push(stream, batch, owner, at, 0, 0)
    fed = fed + 1
    redis.call('HSET', cursors, ':clock', string.format('%.0f', clock))
    if tonumber(at) + 1 >= tonumber(total) then
      batch_unfeed(batch, turns, cursors, owners, waits)
    else
      redis.call('HSET', cursors, batch, string.format('%d %s %s', at + 1, total, owner))
      redis.call('ZADD', turns, string.format('%.0f', clock + redis.call('HGET', owners, owner)), batch)
      redis.call('ZADD', waits, now, batch)
    end
  end
end
deliver(fed)

local waiting = redis.call('HLEN', owners)
if redis.call('XLEN', stream) > 0 or redis.call('ZCARD', delayed) > 0 then waiting = waiting + 1 end
local oldest = redis.call('ZRANGE', waits, 0, 0, 'WITHSCORES')
local lag = oldest[2] and math.max(now - oldest[2], 0) or 0
local overdue = redis.call('ZRANGEBYSCORE', expiries, '-inf', now, 'LIMIT', 0, 8)
if #entries > 0 then
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[6]) end
end
return {entries, cursor, waiting, lag, overdue, reclaimed}
