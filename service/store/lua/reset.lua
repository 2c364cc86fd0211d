-- reset: end an account's cooldown, quarantine and breaker.
-- KEYS: 1 mgw:{accounts}:a:<name>:state (hash)
-- Returns how many marks were taken away. Safe to repeat.
return redis.call('HDEL', KEYS[1], 'quarantine', 'cool_until', 'cools', 'failures', 'opens', 'open_until', 'probe',
  'why', 'since')
