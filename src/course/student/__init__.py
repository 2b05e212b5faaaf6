"""What runs the lessons for a student: the lab, working copies, progress, reports, the doctor."""
