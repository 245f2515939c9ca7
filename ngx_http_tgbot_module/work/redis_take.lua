#!lua flags=allow-oom
-- Takes lanes for a worker: at most n of those that are ready, within the
-- concurrency of the bot over all machines.  Lanes that are due become ready
-- first.
--
-- KEYS  1 meta   2 ready   3 flight   4 delayed   5 workers
-- ARGV  1 worker   2 number of the token   3 n   4 concurrency
--
-- Reply: {now, left, due, flight, lane ...}
--   now     Redis' time, ms, by which the lives of items are counted
--   left    lanes that are ready still; -1: the worker has no lease (any
--           more), nothing is taken: beat first
--   due     ms until the next delayed lane is due; -1: none is delayed
--   flight  lanes in flight, over all machines, these included
--   lane    names of the lanes taken: each has now the token "worker/number"
--
-- The caller reads what it took by "LINDEX lane:<name> 0" and "HMGET progress
-- <name> <name>a", which may stand in one pipeline.
--   head      "seq received payload": seq is the number of the item, received
--             the time of Redis at which it came, ms; nil: the list was
--             deleted, to be ended by settle with the event "gone"
--   progress  "seq progress", answer: "seq answer", both as give has saved
--             them; to be ignored unless seq is that of the head
--
-- The breaker is not here but in each worker's memory: machines may have
-- programs of their own, and one may be available while another is not.
--
-- Twice, or with a reply that is lost: beat names the token of each take that
-- waits for its reply, and each lane that a reply has named; what it does not
-- name becomes ready again.

--include redis_part_meta.lua
--include redis_part_lives.lua
--include redis_part_ready.lua

local err = meta_read()
if err then
  return err
end

if not lives(KEYS[5], ARGV[1]) then
  return {now, -1, -1, redis.call('HLEN', KEYS[3])}
end

-- Lua puts no more than some thousands of arguments into a call

local n = math.min(tonumber(ARGV[3]), 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', int(now),
                       'LIMIT', 0, math.max(n, 32))

if #due > 0 then
  redis.call('ZREM', KEYS[4], unpack(due))
  ready_push(KEYS[2], due)
end

local flight = redis.call('HLEN', KEYS[3])
local reply = {now, 0, -1, flight}

n = math.min(n, tonumber(ARGV[4]) - flight)

local lanes = n > 0 and redis.call('LPOP', KEYS[2], n) or {}
local token = ARGV[1] .. '/' .. ARGV[2]

for _, lane in ipairs(lanes) do

  -- a lane that is in flight becomes ready when it is settled

  if redis.call('HSETNX', KEYS[3], lane, token) == 1 then
    reply[#reply + 1] = lane
  end
end

local delayed = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')

reply[2] = redis.call('LLEN', KEYS[2])
reply[3] = delayed[2] and math.max(0, delayed[2] - now) or -1
reply[4] = flight + #reply - 4

return reply
