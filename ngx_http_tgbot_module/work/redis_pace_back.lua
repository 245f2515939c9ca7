#!lua flags=allow-oom
-- Gives places back that will not be used.
--
-- KEYS  1 meta   2 ... the buckets
-- ARGV  for each bucket: microseconds of a token, burst
--
-- Reply: 1
--
-- Who has a place behind keeps its time, and the next one gets the time of the
-- last.  A bucket of one call has no room for both, so that the place is lost.
--
-- Twice: a place too many is given back.

--include redis_part_meta.lua
--include redis_part_pace.lua

local err = meta_read()
if err then
  return err
end

for _, b in ipairs(pace_buckets(2, 1)) do
  if b.burst > 1 and b.full > us then
    pace_set(b, b.full - b.period)
  end
end

return 1
