-- Which suppliers keep customers waiting.
select s.name, s.lead_time_days, count(*) as late_lines
from order_lines l
join orders o on o.id = l.order_id
join products p on p.id = l.product_id
join suppliers s on s.id = p.supplier_id
where o.shipped_at - o.ordered_at > interval '5 days'
group by s.id
order by late_lines desc
limit 10;
