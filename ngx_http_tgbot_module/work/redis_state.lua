#!lua flags=no-writes
-- What a status shows of a bot.
--
-- KEYS  1 meta   2 ready   3 flight   4 delayed   5 workers   6 lanes   7 held
--       8 firsts   9 dead
--
-- Reply: {now, ready, delayed, oldest, dead, held, records, fields, workers}
--   ready    lanes ready
--   delayed  lanes delayed, not due yet
--   oldest   age of the oldest item, ms; -1: there is none
--   dead     dead letters
--   held     claims of workers
--   records  update_ids with a record: claimed, or to be delivered again
--   fields   names and values of meta in turn, see there: items in the queue
--            (in flight too), bytes, and since it was made the events accepted,
--            replayed, loaded, done, dead, expired, dropped, gone, evicted
--   workers  for each: its name, ms until its lease is over, lanes in flight
--
-- accepted + replayed + loaded = done + dead + expired + dropped + items

--include redis_part_meta.lua

local err = meta_read()
if err then
  return err
end

local flight = {}

for _, token in ipairs(redis.call('HVALS', KEYS[3])) do
  local worker = string.match(token, '^(.*)/') or token

  flight[worker] = (flight[worker] or 0) + 1
end

local workers = {}
local leases = redis.call('ZRANGE', KEYS[5], 0, -1, 'WITHSCORES')

for i = 1, #leases, 2 do
  workers[#workers + 1] = leases[i]
  workers[#workers + 1] = leases[i + 1] - now
  workers[#workers + 1] = flight[leases[i]] or 0
end

local oldest = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')

return {
  now,
  redis.call('LLEN', KEYS[2]),
  redis.call('ZCOUNT', KEYS[4], '(' .. int(now), '+inf'),
  oldest[2] and math.max(0, now - oldest[2]) or -1,
  redis.call('ZCARD', KEYS[9]),
  redis.call('HLEN', KEYS[7]),
  redis.call('ZCARD', KEYS[8]),
  redis.call('HGETALL', KEYS[1]),
  workers
}
