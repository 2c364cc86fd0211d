-- window: the last sixty seconds, exactly. A zset `<tokens>:<id>` -> at_ms, and the sum of its tokens in field
-- `window_tokens` of a hash. An entry leaves sixty seconds after it came, so in no minute is more let in than a limit.
-- O(log n) for each entry that comes or leaves.
local MINUTE_MS = 60000

local function clock_ms(given)
  if given ~= '0' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function tokens_of(member)
  return tonumber(string.match(member, '^%d+'))
end

-- Forget what left the minute. Returns how many requests and tokens are in it.
local function window_read(zset, hash, now)
  local tokens = tonumber(redis.call('HGET', hash, 'window_tokens') or '0')
  while true do
    local gone = redis.call('ZRANGEBYSCORE', zset, '-inf', now - MINUTE_MS, 'LIMIT', 0, 500)
    if #gone == 0 then break end
    local sum = 0
    for _, member in ipairs(gone) do sum = sum + tokens_of(member) end
    redis.call('ZREM', zset, unpack(gone))
    tokens = redis.call('HINCRBY', hash, 'window_tokens', 0 - sum)  -- -sum may be -0, which is no integer
  end
  local requests = redis.call('ZCARD', zset)
  if requests == 0 and tokens ~= 0 then  -- one of the two keys was lost: the entries are the truth
    redis.call('HSET', hash, 'window_tokens', 0)
    tokens = 0
  end
  return requests, tokens
end

-- Milliseconds until `requests` entries and `tokens` tokens have left. A lower bound past a hundred entries.
local function window_wait(zset, now, requests, tokens)
  local left = redis.call('ZRANGE', zset, 0, 99, 'WITHSCORES')
  local wait = 1
  for i = 1, #left, 2 do
    if requests <= 0 and tokens <= 0 then break end
    requests = requests - 1
    tokens = tokens - tokens_of(left[i])
    wait = math.max(left[i + 1] + MINUTE_MS - now, 1)
  end
  return wait
end

local function window_add(zset, hash, now, id, tokens)
  redis.call('ZADD', zset, now, string.format('%d:%s', tokens, id))
  redis.call('PEXPIRE', zset, 2 * MINUTE_MS)
  redis.call('HINCRBY', hash, 'window_tokens', tokens)
end

-- Put the real tokens where the estimate stood; `real` -1 takes the whole entry out. An entry that has left
-- comes back with what it used beyond its estimate.
local function window_settle(zset, hash, now, id, reserved, real)
  local old = string.format('%d:%s', reserved, id)
  local at = redis.call('ZSCORE', zset, old)
  if at then
    -- Added before the old one goes: a zset that is empty for a moment comes back without its lifetime.
    if real >= 0 then redis.call('ZADD', zset, at, string.format('%d:%s', real, id)) end
    if real ~= reserved then redis.call('ZREM', zset, old) end
    redis.call('HINCRBY', hash, 'window_tokens', math.max(real, 0) - reserved)
  elseif real > reserved then
    window_add(zset, hash, now, id, real - reserved)
  end
end
