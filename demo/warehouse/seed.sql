-- Plausible data, the same at every run. The number of items sets the size of everything else.
set warehouse.items = 1000000;

begin;

select setseed(0.42);

-- Every reference below is made from a row that exists, so no key needs to be looked up again.
set local session_replication_role = replica;

insert into warehouses (code, city, country, aisles, opened_on) values
    ('BER', 'Berlin',    'DE', 24, '2015-03-02'),
    ('HAM', 'Hamburg',   'DE', 18, '2016-09-12'),
    ('ROT', 'Rotterdam', 'NL', 40, '2014-05-19'),
    ('LYO', 'Lyon',      'FR', 16, '2018-01-15'),
    ('MIL', 'Milan',     'IT', 14, '2019-06-03'),
    ('GDN', 'Gdańsk',    'PL', 20, '2017-04-10'),
    ('BCN', 'Barcelona', 'ES', 12, '2020-10-05'),
    ('MAL', 'Malmö',     'SE', 10, '2021-02-22');

insert into suppliers (name, country, lead_time_days)
select first || ' ' || last, (array['DE', 'NL', 'FR', 'IT', 'PL', 'ES', 'SE', 'AT', 'CZ', 'DK'])[1 + floor(random() * 10)],
       2 + floor(random() * 40)
from unnest(array['Nord', 'Alpen', 'Delta', 'Iberia', 'Baltic', 'Rhein', 'Union', 'Atlas', 'Meridian', 'Polar']) first,
     unnest(array['Metall', 'Optik', 'Werkzeug', 'Plastics', 'Textiles', 'Elektro', 'Paper', 'Chemie']) last;

-- One product for about a hundred items.
insert into products (sku, name, category, supplier_id, unit_price, weight_g)
select 'P-' || lpad(n::text, 6, '0'),
       (array['Compact', 'Heavy-duty', 'Stainless', 'Folding', 'Insulated', 'Cordless', 'Recycled', 'Waterproof'])[1 + floor(random() * 8)]
           || ' ' || kind[2] || ' ' || (10 + floor(random() * 90)),
       kind[1], 1 + floor(random() * 80), round((2 + 400 * power(random(), 3))::numeric, 2), 20 + floor(8000 * power(random(), 2))
from generate_series(1, greatest(100, current_setting('warehouse.items')::integer / 100)) n
cross join lateral (
    select string_to_array((array[
        'Tools|drill', 'Tools|wrench', 'Tools|clamp', 'Lighting|lamp', 'Lighting|lantern', 'Storage|crate', 'Storage|shelf',
        'Kitchen|kettle', 'Kitchen|pan', 'Office|lamp', 'Office|trolley', 'Garden|hose', 'Garden|spade', 'Safety|helmet'
    ])[1 + (n * 7 + n / 14) % 14], '|') as kind
) k;

-- A unique index over a million unordered codes is quicker built at once than grown row by row.
alter table inventory_items drop constraint inventory_items_inventory_code_key;

-- Items came in day after day for three years, into large warehouses more often, and of popular products (low ids) most.
-- A batch is a day's delivery.
insert into inventory_items (id, inventory_code, product_id, warehouse_id, received_on, status)
select n,
       format('%s-%s-%s%s/B%s/SN%s', w.code, lpad((1 + floor(aisle * w.aisles))::text, 2, '0'),
              chr(65 + floor(shelf * 6)::integer), 1 + floor(place * 9), to_char(day, 'YYYY-DDD'), lpad(n::text, 7, '0')),
       1 + floor(power(product, 1.5) * products), w.id, day,
       case when status < 0.93 then 'in stock' when status < 0.99 then 'reserved' else 'quarantined' end
from (
    select n, products, date '2022-01-03' + (n::bigint * 1095 / items)::integer as day, 1 + floor(power(random(), 1.3) * 8) as warehouse,
           random() as aisle, random() as shelf, random() as place, random() as product, random() as status
    from (select current_setting('warehouse.items')::integer as items, (select count(*) from products) as products) sizes
    cross join lateral generate_series(1, items) n
) arrival
join warehouses w on w.id = warehouse;

alter table inventory_items add constraint inventory_items_inventory_code_key unique (inventory_code);

-- Each item was received; a part of them was touched again later.
insert into stock_movements (id, item_id, kind, moved_at, moved_by)
select row_number() over (order by id), id, 'received', received_on + time '06:00' + random() * interval '4 hours',
       (array['a.lind', 'b.okafor', 'c.moreau', 'd.rossi', 'e.nowak', 'f.garcia'])[1 + floor(random() * 6)]
from inventory_items
where id % 4 = 0;

insert into stock_movements (id, item_id, kind, moved_at, moved_by)
select (select max(id) from stock_movements) + row_number() over (order by id), id,
       (array['picked', 'picked', 'returned', 'moved', 'moved', 'counted']::movement_kind[])[1 + floor(random() * 6)],
       received_on + interval '7 hours' + random() * interval '90 days',
       (array['a.lind', 'b.okafor', 'c.moreau', 'd.rossi', 'e.nowak', 'f.garcia'])[1 + floor(random() * 6)]
from inventory_items
where id % 5 = 0;

insert into orders (id, number, customer, ordered_at, shipped_at)
select n, 'O-' || lpad(n::text, 7, '0'), customer, ordered_at,
       case when n < 0.99 * orders then ordered_at + interval '3 hours' + power(speed, 3) * interval '9 days' end
from (
    select n, orders, 'customer-' || 1 + floor(power(random(), 2) * orders / 4) as customer, random() as speed,
           timestamptz '2022-02-01 08:00+00' + n * (interval '1065 days' / orders) as ordered_at
    from (select greatest(10, current_setting('warehouse.items')::integer / 20) as orders) sizes
    cross join lateral generate_series(1, orders) n
) placed;

insert into order_lines (order_id, line, product_id, quantity, unit_price)
select order_id, line, p.id, 1 + floor(power(many, 4) * 12), p.unit_price
from (
    select o.id as order_id, line, 1 + floor(power(random(), 1.5) * products) as product, random() as many
    from (select count(*) as products from products) sizes
    cross join orders o
    cross join lateral generate_series(1, 1 + o.id % 3) line
) wanted
join products p on p.id = product;

-- New rows continue after these.
select setval(pg_get_serial_sequence('products', 'id'), max(id)) from products;
select setval(pg_get_serial_sequence('inventory_items', 'id'), max(id)) from inventory_items;
select setval(pg_get_serial_sequence('stock_movements', 'id'), max(id)) from stock_movements;
select setval(pg_get_serial_sequence('orders', 'id'), max(id)) from orders;

commit;

analyze;
