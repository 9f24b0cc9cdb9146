-- The bound: wrk sends ready-made batch deletes, unsigned, and looks into no answer. A peer in tests/bench/compare.py.
--
--     wrk -t1 -c16 -d2 -s wrk.lua URL -- LIST BATCH

local requests, last = {}, 0

function init(args)
    local list = assert(io.open(args[1]))
    local function id()
        local line = list:read("*l")
        if line == nil then -- a short one: again from its beginning
            list:seek("set")
            line = assert(list:read("*l"))
        end
        return '"' .. line .. '"'
    end
    local headers = { ["Content-Type"] = "application/json;charset=UTF-8" }
    for request = 1, 16 do -- one a connection, and few enough to stay in the cache
        local ids = {}
        for _ = 1, tonumber(args[2]) do
            ids[#ids + 1] = id()
        end
        requests[request] = wrk.format("POST", nil, headers, '{"batch_ids":[' .. table.concat(ids, ",") .. "]}")
    end
    list:close()
end

function request()
    last = last % #requests + 1
    return requests[last]
end

function done(summary)
    local e = summary.errors
    if e.connect + e.read + e.write + e.status + e.timeout > 0 then
        io.stderr:write(string.format("wrk: %d errors to connect, %d to read, %d to write, %d of status, %d timeouts\n",
            e.connect, e.read, e.write, e.status, e.timeout))
        os.exit(1)
    end
end
