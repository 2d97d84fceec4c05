-- What lies where, and what it is worth.
select w.city, count(*) as items, count(distinct i.product_id) as products, sum(p.unit_price) as value
from inventory_items i
join warehouses w on w.id = i.warehouse_id
join products p on p.id = i.product_id
group by w.city
order by items desc;
