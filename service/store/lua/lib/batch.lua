-- batch: what the scripts of batches share. The group of the consumers, the end of a batch, and its open items.
local GROUP = 'workers'
local IDLE_MS = 30 * 86400 * 1000

local function batch_clock(given)
  if given ~= '0' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function batch_stream(stream)
  if redis.call('EXISTS', stream) == 0 then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
    redis.call('PEXPIRE', stream, IDLE_MS)
  end
end

-- One entry of the stream: b batch, o owner, n number ('v': read the file), t tries, d deaths.
local function batch_push(stream, batch, owner, number, tries, deaths)
  redis.call('XADD', stream, '*', 'b', batch, 'o', owner, 'n', number, 't', tries, 'd', deaths)
end

-- The end of a batch, once every item has a result: its items go, its result files come into the owner's list.
local function batch_close(meta, items, files, now)
  local v = redis.call('HMGET', meta, 'state', 'total', 'succeeded', 'errored', 'canceled', 'expired', 'files')
  local total = tonumber(v[2])
  if not v[1] or v[1] == 'ended' or v[1] == 'failed' or not total then return 0 end
  local good = tonumber(v[3] or '0')
  local bad = tonumber(v[4] or '0') + tonumber(v[5] or '0') + tonumber(v[6] or '0')
  if good + bad < total then return 0 end
  redis.call('HSET', meta, 'state', 'ended', 'ended_ms', now)
  redis.call('UNLINK', items)
  if v[7] then
    if good > 0 then redis.call('ZADD', files, now, 'file-o' .. v[7]) end
    if bad > 0 then redis.call('ZADD', files, now, 'file-e' .. v[7]) end
  end
  return 1
end

-- Take a batch out of the feed. Returns how many of its items had not begun.
local function batch_unfeed(batch, turns, cursors, owners, waits)
  local cursor = redis.call('HGET', cursors, batch)
  if not cursor then return 0 end
  local at, total, owner = string.match(cursor, '^(%d+) (%d+) (%S+)$')
  redis.call('HDEL', cursors, batch)
  redis.call('ZREM', turns, batch)
  redis.call('ZREM', waits, batch)
  if redis.call('HINCRBY', owners, owner, -1) <= 0 then redis.call('HDEL', owners, owner) end
  return tonumber(total) - tonumber(at)
end
