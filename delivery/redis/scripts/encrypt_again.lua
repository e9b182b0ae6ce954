#!lua flags=allow-oom
-- encrypt_again.lua replaces records of webhooks by others that mean the same, so that no version
-- is raised. It leaves those that have changed since they were read.
--
-- KEYS[1]  the partition
-- ARGV     of each webhook: tenant, id, record that was read, new record
-- Result   now in ms, how many were replaced

local now, replaced = now_ms(), 0
for i = 1, #ARGV, 4 do
  local key = webhooks_key(ARGV[i])
  if read('HGET', key, ARGV[i + 1]) == ARGV[i + 2] then
    write('HSET', key, ARGV[i + 1], ARGV[i + 3])
    replaced = replaced + 1
  end
end
return reply({ now, replaced })
