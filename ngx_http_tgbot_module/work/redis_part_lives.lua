-- Part of the scripts: which workers live, and so which leases go on.
--
-- workers is the key of that name: a ZSET of workers, by the time at which they
-- are dead.

local function lives(workers, worker)
  local lease = worker and redis.call('ZSCORE', workers, worker)

  return lease and tonumber(lease) > now
end


-- Whether the worker of this token, "worker/number", lives; nil: no token.

local function is_held(workers, token)
  return token and lives(workers, string.match(token, '^(.*)/'))
end
