#!lua flags=no-writes
-- What a status shows of a bot.
--
-- KEYS  1 meta   2 ready   3 flight   4 delayed   5 workers   6 lanes   7 held
--       8 firsts   9 dead   10 letters
--
-- Reply: {now, ready, delayed, oldest, dead, held, records, fields, workers,
--         letter}
--   ready    lanes ready
--   delayed  lanes delayed, not due yet
--   oldest   age of the oldest item, ms; -1: there is none
--   dead     dead letters
--   held     claims of workers
--   records  update_ids with a record: claimed, or to be delivered again
--   fields   names and values of meta in turn, see there: items in the queue
--            (in flight too), bytes, and since it was made the events accepted,
--            replayed, loaded, done, dead, expired, dropped, gone, evicted
--   workers  for each: its name, ms until its lease is over (-1: it is over),
--            lanes in flight, claims
--   letter   head of the dead letter with the lowest id; nil: there is none
--
-- accepted + replayed + loaded = done + dead + expired + dropped + items

--include redis_part_meta.lua

local err = meta_read()
if err then
  return err
end


-- how many of the tokens in the HASH each worker has; notes who they are

local has = {}


local function count(key)
  local of = {}

  for _, token in ipairs(redis.call('HVALS', key)) do
    local worker = string.match(token, '^(.*)/') or token

    of[worker] = (of[worker] or 0) + 1
    has[worker] = true
  end

  return of
end


local flight, claims = count(KEYS[3]), count(KEYS[7])
local workers = {}


local function add(worker, lease)
  has[worker] = nil

  for _, value in ipairs({worker, lease, flight[worker] or 0,
                          claims[worker] or 0})
  do
    workers[#workers + 1] = value
  end
end


local leases = redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')

for i = 1, #leases, 2 do
  add(leases[i], math.max(-1, leases[i + 1] - now))
end

for worker in pairs(has) do
  add(worker, -1)
end

local oldest = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
local first = redis.call('ZRANGE', KEYS[9], 0, 0)

return {
  now,
  redis.call('LLEN', KEYS[2]),
  redis.call('ZCOUNT', KEYS[4], '(' .. int(now), '+inf'),
  oldest[2] and math.max(0, now - oldest[2]) or -1,
  redis.call('ZCARD', KEYS[9]),
  redis.call('HLEN', KEYS[7]),
  redis.call('ZCARD', KEYS[8]),
  redis.call('HGETALL', KEYS[1]),
  workers,
  first[1] and redis.call('HGET', KEYS[10], first[1]) or false
}
