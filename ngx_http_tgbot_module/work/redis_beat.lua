#!lua flags=allow-oom
-- Renews the lease of a worker, and says what the worker holds: lanes, claims
-- and dead letters that it does not name are given back.  Then gives back what
-- workers hold whose lease is over.
--
-- KEYS  1 meta   2 ready   3 flight   4 workers   5 held   6 records
--       7 replays   8 lanes   9 delayed   10 progress
-- ARGV  1 worker   2 lease, ms
--       3 number of this beat, drawn as the number of a token is
--       4 ... what the worker holds: "l<lane>/<number>", "c<update_id>/
--             <number>", "d<letter>/<number>", the last part being the number
--             of the token; and "<number>" of each take, claim or lease whose
--             reply the worker waits for
--
-- Reply: {now, made, given, reaped, lost ...}
--   now     Redis' time, ms
--   made    when the keys of the bot were made, us: another one than in the
--           reply before tells that they were deleted
--   given   lanes, claims and letters of this worker that were given back
--   reaped  the same of other workers
--   lost    arguments from the fourth on, those that name what the worker does
--           not hold (any more).  A number alone: the worker has nothing under
--           this token.  If the reply that names something came before that of
--           the beat, the lease was over in between, and the worker does not
--           work on it; if it is still to come, it was executed after the beat.
--           So the two are sent over the same connection
--
-- Tokens with a number above that of the beat are left alone: a beat that is
-- executed late takes nothing away that was taken after it.  If no worker has
-- a lease, and that of the caller is over, Redis was away, or all workers were:
-- each worker gets one more lease, and none is reaped.  A caller that had none
-- cannot tell: a worker that means to stop its beats leaves "workers".  A lane
-- that is given back keeps its head and is ready; a claim counts as charged.
--
-- The beat sets right what does not add up after keys were deleted: the items
-- of deleted lists count as dropped when no lane is left, and if lanes are
-- neither ready, delayed nor in flight, all that are not become ready.
--
-- Twice: as once.

--include redis_part_meta.lua
--include redis_part_ready.lua

local err = meta_read('made', 'items', 'bytes', 'dropped')
if err then
  return err
end

local worker, number = ARGV[1], tonumber(ARGV[3])

if redis.call('ZSCORE', KEYS[4], worker)
   and redis.call('ZCOUNT', KEYS[4], '(' .. int(now), '+inf') == 0
then
  for _, w in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
    redis.call('ZADD', KEYS[4], int(now + ARGV[2]), w)
  end
end

redis.call('ZADD', KEYS[4], int(now + ARGV[2]), worker)

local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', int(now))

for _, w in ipairs(over) do
  redis.call('ZREM', KEYS[4], w)
end

local named = {}

for i = 4, #ARGV do
  named[ARGV[i]] = true
end

local given, reaped, ready, lives, holds = 0, 0, {}, {}, {}


-- whether the lease with this name and token goes on

local function goes_on(name, token)
  local w, n = string.match(token, '^(.*)/(%d+)$')

  if w == worker then
    if tonumber(n) > number or named[name .. '/' .. n] or named[n] then
      holds[name .. '/' .. n], holds[n] = true, true
      return true
    end

    given = given + 1
    return false
  end

  if w and lives[w] == nil then
    lives[w] = redis.call('ZSCORE', KEYS[4], w) and true or false
  end

  if w and lives[w] then
    return true
  end

  reaped = reaped + 1
  return false
end


local function each(key, kind, back)
  local all = redis.call('HGETALL', key)

  for i = 1, #all, 2 do
    if all[i + 1] ~= '' and not goes_on(kind .. all[i], all[i + 1]) then
      back(all[i])
    end
  end
end


each(KEYS[3], 'l', function(lane)
  redis.call('HDEL', KEYS[3], lane)
  ready[#ready + 1] = lane
end)

each(KEYS[5], 'c', function(id)
  redis.call('HDEL', KEYS[5], id)
  redis.call('HSET', KEYS[6], id .. 'c', 1)
end)

each(KEYS[7], 'd', function(letter)
  redis.call('HSET', KEYS[7], letter, '')
end)

for _, lane in ipairs(ready) do
  if redis.call('LPUSH', KEYS[2], lane) == 1 then
    redis.call('PUBLISH', KEYS[2], '')
  end
end

local lanes = redis.call('ZCARD', KEYS[8])
local known = redis.call('LLEN', KEYS[2]) + redis.call('ZCARD', KEYS[9])
              + redis.call('HLEN', KEYS[3])

if lanes + known == 0 and ((meta.items or 0) > 0 or (meta.bytes or 0) > 0) then
  redis.call('DEL', KEYS[10])
  meta_set('dropped', (meta.dropped or 0) + (meta.items or 0))
  meta_set('items', 0)
  meta_set('bytes', 0)
end

if lanes > known then
  local has = {}

  for _, names in ipairs({redis.call('LRANGE', KEYS[2], 0, -1),
                          redis.call('ZRANGE', KEYS[9], 0, -1),
                          redis.call('HKEYS', KEYS[3])})
  do
    for _, lane in ipairs(names) do
      has[lane] = true
    end
  end

  for _, lane in ipairs(redis.call('ZRANGE', KEYS[8], 0, -1)) do
    if not has[lane] then
      ready_push(KEYS[2], {lane}, true)
    end
  end
end

meta_write()

local reply = {now, meta.made, given, reaped}

for i = 4, #ARGV do
  if not holds[ARGV[i]] then
    reply[#reply + 1] = ARGV[i]
  end
end

return reply
