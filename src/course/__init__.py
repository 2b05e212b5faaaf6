"""What runs the course for a student: the lab, the doctor, working copies, reports, progress.

The `walkforward` command calls it. `walkforward` holds what a lesson uses and a student would take to work,
`authoring` what builds and judges the lessons.
"""
